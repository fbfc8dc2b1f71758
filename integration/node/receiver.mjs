// An ordinary Express app that takes webhooks and knows no webhook secret. It
// prints the port it listens on, and then one JSON object per delivery.
//
// With the argument `raw` it tells the digest of the bytes that came; without,
// it is an app like any other: it has Express parse the JSON, and tells the
// digest of what it makes of it.
import { createHash } from 'node:crypto';
import express from 'express';

const raw = process.argv[2] === 'raw';
const app = express();
app.use(raw ? express.raw({ type: () => true, limit: '20mb' }) : express.json({ limit: '20mb' }));

app.post('/hook', (request, response) => {
  const body = raw ? (Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)) : Buffer.from(JSON.stringify(request.body));
  console.log(JSON.stringify({
    sha256: createHash('sha256').update(body).digest('hex'),
    bytes: body.length,
    contentLength: request.get('content-length') ?? '',
    transferEncoding: request.get('transfer-encoding') ?? '',
  }));
  response.status(201).json({ taken: true });
});

const server = app.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
