"""The stranger's own tests run where its wheel is installed: `test_wheels`."""

collect_ignore = ["stranger"]
