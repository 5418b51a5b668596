"""Packages for agents, in sandboxes that stay without a network: ``packages="frozen"``.

The host serves an index (``blockers.package_proxy``) on a unix socket that a sandbox sees, and a small program in the
sandbox lends it to an installer for as long as one command runs.
"""
