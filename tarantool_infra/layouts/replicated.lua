-- An instance of a replica set. Needs AUTHKV_REPLICATION and AUTHKV_REPLICATION_PASSWORD, the same for all instances;
-- without elections, AUTHKV_READ_ONLY=true on all but the leader. See documentation/replication.md.

return {
    DATA_DIR = './var/replicated',
    HTTP_LISTEN = '0.0.0.0:8080',
    CONSISTENCY = 'leader',
    IPROTO_LISTEN = '0.0.0.0:3301',
    WRITES = 'forward',
}
