"""The one way to packages that an agent may be given: a package index frozen at a date, without the task's project.

Read only, wheels only, served by the host over a unix socket. Off unless asked for; see docs/threat-model.md.
"""
