"""What all tests share; see tests/support/."""

pytest_plugins = ["tests.support.fixtures"]
