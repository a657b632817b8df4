"""From one corpus to measurements: the workbench, floors, planted controls."""
