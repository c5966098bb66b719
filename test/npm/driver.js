// npm's `tarantool-driver` for test_connectors.py: calls on lines of JSON, [procedure, arguments], answers on lines of JSON,
// {result} or {error}. JSON has no bytes and no integer above 2^53: {"$bytes": base64} and {"$integer": digits} stand there.

const readline = require('readline');
const { Int64BE, Uint64BE } = require('int64-buffer');
const Tarantool = require('tarantool-driver');

function taken(_, value) {
    if (typeof value?.$bytes === 'string') return Buffer.from(value.$bytes, 'base64');
    if (typeof value?.$integer === 'string') {
        return value.$integer.startsWith('-') ? new Int64BE(value.$integer) : new Uint64BE(value.$integer);
    }
    return value;
}

function given(value) {
    if (Buffer.isBuffer(value)) return { $bytes: value.toString('base64') };
    if (Array.isArray(value)) return value.map(given);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, given(one)]));
}

async function main() {
    const [port, username, password] = process.argv.slice(2);
    const connection = new Tarantool({ host: '127.0.0.1', port: Number(port), username, password, lazyConnect: true });
    await connection.connect();
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [procedure, args] = JSON.parse(line, taken);
        const answer = await connection.call(procedure, ...args).then(
            (result) => ({ result: given(result) }),
            (error) => ({ error: { code: error.code ?? null, message: error.message } }),
        );
        process.stdout.write(JSON.stringify(answer) + '\n');
    }
    connection.disconnect();
}

main();
