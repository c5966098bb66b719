-- Only the authorization service, on the port of the old system. Needs AUTHKV_FOLLOWER_PASSWORD if a key-value instance
-- follows it.

return {
    SERVICES = 'auth',
    DATA_DIR = './var/authorization',
    HTTP_LISTEN = '127.0.0.1:8080',
    IPROTO_LISTEN = '127.0.0.1:3301',
}
