"""A pool's environment over the network: the gate in front of the server, the server, and a Gymnasium client."""
