"""The discrete-event model of a migration."""
