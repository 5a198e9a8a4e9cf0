"""Parts of files that are written to begin with: TOML, and made-up values."""
