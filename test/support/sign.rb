# Signs a token with ruby-jwt: reads {key (PEM), header, claims} from the standard input, writes the token.
require 'json'
require 'jwt'

given = JSON.parse($stdin.read)
header = given['header']
key = OpenSSL::PKey.read(given['key'])
print JWT.encode(given['claims'], key, header['alg'], header.reject { |name| name == 'alg' })
