"""What the end-to-end tests share: the gateway under test, its peers, and a client that says exactly what it is told."""
