import express from 'express';

const app = express();
app.use(express.json({ limit: '10mb' }));

// In an app of yours: a unique key in its database.
const done = new Set();

function work(id, body) {
  if (done.has(id)) return;
  done.add(id);
  console.log(JSON.stringify({ id, body }));
}

app.post('/webhooks/twenty', (request, response) => {
  response.sendStatus(202);
  setImmediate(work, request.get('X-Delivery-Id'), request.body);
});

app.listen(3000, '127.0.0.1');
