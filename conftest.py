"""How every test of the project is run, the drivers' own as well."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes tells of the machine, not of the code.
settings.register_profile("meshnet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("meshnet")
