"""How to read and edit web server configurations. Plain: nothing is run and nothing is written here; callers do both."""
