"""Interactive figures as plotly takes them: plain data, built without importing plotly."""
