"""The Docker backend: one hardened container a sandbox, from a warm pool, with the host's shell attached."""

from agent_env.sandbox.docker.backend import DockerBackend

__all__ = ["DockerBackend"]
