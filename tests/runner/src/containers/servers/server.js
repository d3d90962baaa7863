// node: an HTTP server and its clients, workers, child processes, files, timers and signals on one event loop.
const assert = require('node:assert'), http = require('node:http'), fs = require('node:fs/promises');
const { execFileSync } = require('node:child_process'), { Worker } = require('node:worker_threads');
const { pbkdf2Sync } = require('node:crypto'), { gzipSync, gunzipSync } = require('node:zlib'), { once } = require('node:events');

async function main() {
    const server = http.createServer((request, response) => {
        let body = '';
        request.on('data', (data) => body += data).on('end', () => response.end(request.url + body));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
    const ask = (path, body) => new Promise((resolve, reject) => {
        const request = http.request({ host: '127.0.0.1', port, path, method: 'POST', agent }, (response) => {
            let text = '';
            response.on('data', (data) => text += data).on('end', () => resolve(text));
        });
        request.on('error', reject).end(body);
    });
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => ask('/' + i, '!')));
    assert.deepStrictEqual(answers, Array.from({ length: 300 }, (_, i) => `/${i}!`));
    assert.strictEqual((await ask('/', 'x'.repeat(1 << 20))).length, (1 << 20) + 1);
    agent.destroy();
    server.close();
    await once(server, 'close');

    const worker = new Worker(
        `const { parentPort } = require('worker_threads');
         const words = new Int32Array(new SharedArrayBuffer(8)); Atomics.wait(words, 0, 0, 50); parentPort.postMessage('done')`,
        { eval: true });
    assert.deepStrictEqual(await once(worker, 'message'), ['done']);

    assert.strictEqual(execFileSync('echo', ['child']).toString(), 'child\n');
    await fs.mkdir('/tmp/files');
    const watcher = fs.watch('/tmp/files')[Symbol.asyncIterator]();
    const event = watcher.next();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await Promise.all(Array.from({ length: 50 }, (_, i) => fs.writeFile(`/tmp/files/${i}`, 'text')));
    assert.strictEqual((await fs.readdir('/tmp/files')).length, 50);
    assert.ok((await event).value.filename);
    await watcher.return();

    // Waiting for a signal alone does not keep node running.
    const alive = setTimeout(() => {}, 60000);
    const signal = once(process, 'SIGUSR2');
    process.kill(process.pid, 'SIGUSR2');
    await signal;
    clearTimeout(alive);
    assert.strictEqual(gunzipSync(gzipSync(Buffer.alloc(1 << 20))).length, 1 << 20);
    assert.strictEqual(pbkdf2Sync('a', 'b', 100, 4, 'sha256').length, 4);
    for (let round = 0, kept = []; round < 20; round++) kept = Array.from({ length: 1e5 }, (_, i) => ({ i }));
    console.log('passed');
}
main().catch((error) => { console.error(error); process.exit(1); });
