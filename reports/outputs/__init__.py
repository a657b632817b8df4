"""What is written: HTML, Markdown, JUnit, terminal."""
