#!/bin/bash
# Asks the admin listener of an instance with the same environment: health.sh [livez|readyz] [seconds]
#
# Ends with 0 if the instance is healthy, or becomes so within these seconds, and with 1 otherwise, after saying why. Needs no curl:
# the image has none. Only for addresses without TLS and proxy+ it can ask; with curl, for a unix socket, too. Otherwise, and if
# the admin listener is off, it says so and ends with 0.
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
        curl -s -m 5 --unix-socket "${address#unix:}" -w '\n%{http_code}' "http://localhost/$probe" | {
            mapfile -t lines
            [ ${#lines[@]} -gt 0 ] && echo "${lines[-1]}" && printf '%s\n' "${lines[@]:0:${#lines[@]}-1}"
        }
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
    unix:*) command -v curl > /dev/null || unknown "there is no curl for $address" ;;
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
