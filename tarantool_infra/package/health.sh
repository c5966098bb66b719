#!/bin/bash
# Asks the admin listener of an instance with the same environment: health.sh [livez|readyz] [seconds]
#
# Ends with 0 if the instance is healthy, or becomes so within these seconds, and with 1 otherwise, after saying why. Needs no curl:
# the image has none. Asks addresses without TLS and proxy+, and unix sockets, which bash cannot open, by Tarantool. Otherwise, and
# if the admin listener is off, it says so and ends with 0.
set -u

probe=${1:-readyz}
seconds=${2:-0}
address=${AUTHKV_HTTP_ADMIN_LISTEN:-off}
address=${address%%,*}

unknown() {
    echo "$1: the health is not known"
    exit 0
}

# Prints the status and the body of the answer.
ask() {
    local status line
    if [[ $address == unix:* ]]; then
        health_path=${address#unix:} health_probe=$probe tarantool -e "
            local socket = require('socket').tcp_connect('unix/', os.getenv('health_path'), 5)
            if socket == nil then os.exit(1) end
            socket:write('GET /' .. os.getenv('health_probe') .. ' HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
            local status, body = (socket:read(65536, 5) or ''):match('^HTTP/1.1 (%d+) .-\r\n\r\n(.*)')
            io.write(status or '', '\n', body or '')
            os.exit()"
        return
    fi
    exec 3<>"/dev/tcp/$host/$port" || return 1
    printf 'GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$probe" >&3
    read -r -t 5 -u 3 _ status _ || return 1
    echo "$status"
    while read -r -t 5 -u 3 line && [ "$line" != $'\r' ]; do :; done
    timeout 5 cat <&3
    exec 3>&-
}

case $address in
    off) unknown "AUTHKV_HTTP_ADMIN_LISTEN is off" ;;
    https://* | proxy+*) unknown "$address is not plain HTTP" ;;
    unix:*) ;;
    *)
        port=${address##*:}
        host=${address%:*}
        host=${host#[}
        host=${host%]}
        case $host in
            0.0.0.0) host=127.0.0.1 ;;
            ::) host=::1 ;;
        esac
        ;;
esac

end=$((SECONDS + seconds))
while :; do
    answer=$(ask 2> /dev/null)
    [[ ${answer%%$'\n'*} == 200 ]] && exit 0
    ((SECONDS >= end)) && break
    sleep 0.5
done
echo "$address: ${answer:-no answer}"
exit 1
