"""The 2016 study: its cells, its hosts, its findings."""
