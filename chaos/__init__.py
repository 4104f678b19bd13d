"""`make chaos`: breaks the service in every way we know, under load, and looks afterwards whether anything was lost."""
