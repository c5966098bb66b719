-- Both services in one process: the defaults.

return {}
