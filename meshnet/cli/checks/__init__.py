"""What `meshnet doctor` looks at: one module an area, each a function that returns findings."""
