"""Pure decisions: which driver makes a link, what an endpoint should be, and why not. No I/O."""
