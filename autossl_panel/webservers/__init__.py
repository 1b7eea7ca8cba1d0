"""How to read and edit web server configurations. Nothing is run and nothing is written here: callers do both."""
