"""The commands, one file each. typer enters here."""
