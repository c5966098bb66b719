-- Only the key-value service, on the port of the old system, beside authorization_tarantool. Needs
-- AUTHKV_FOLLOWER_PASSWORD.

return {
    SERVICES = 'kv',
    DATA_DIR = './var/key_value',
    HTTP_LISTEN = '127.0.0.1:9080',
    IPROTO_LISTEN = '127.0.0.1:3302',
    PUBLIC_KEY_FILE = './var/authorization/jwt_public.pem',
    FOLLOW = '127.0.0.1:3301',
}
