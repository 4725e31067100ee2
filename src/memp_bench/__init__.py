"""The laboratory: environments, agents and studies for memp. memp never imports it."""
