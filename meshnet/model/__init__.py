"""What a topology is: pure types, their decoding and the rules between the two ends of a link. No I/O."""
