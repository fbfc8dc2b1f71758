import Fastify from 'fastify';

const app = Fastify({ bodyLimit: 10 * 1024 * 1024 });

function work(id, body) {
  console.log(JSON.stringify({ id, body }));
}

app.post('/webhooks/twenty', async (request, reply) => {
  setImmediate(work, request.headers['x-delivery-id'], request.body);
  return reply.code(202).send();
});

await app.listen({ port: 3000, host: '127.0.0.1' });
