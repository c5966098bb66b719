-- Both services in one process, with the default settings.

return {}
