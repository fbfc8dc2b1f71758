// Verifies deliveries as one would write it by hand, and hands them on. Two
// processes, one for each core.
import cluster from 'node:cluster';
import crypto from 'node:crypto';
import http from 'node:http';
import express from 'express';

const [listen, upstream] = process.argv.slice(2);
const secret = process.env.TWENTY_WEBHOOK_SECRET;
const window = 5 * 60 * 1000;

if (cluster.isPrimary) {
	for (let i = 0; i < 2; i++) cluster.fork();
} else {
	const agent = new http.Agent({ keepAlive: true });
	const [host, port] = upstream.split(':');
	const app = express();
	app.disable('x-powered-by');
	app.post('/', express.raw({ type: () => true, limit: '10mb' }), (req, res) => {
		const timestamp = req.get('X-Twenty-Webhook-Timestamp') ?? '';
		const signature = Buffer.from(req.get('X-Twenty-Webhook-Signature') ?? '', 'hex');
		if (!/^[1-9][0-9]{0,15}$/.test(timestamp) || Math.abs(Date.now() - Number(timestamp)) > window) {
			return res.sendStatus(401);
		}
		const expected = crypto.createHmac('sha256', secret).update(timestamp).update(':').update(req.body).digest();
		if (signature.length !== expected.length || !crypto.timingSafeEqual(signature, expected)) {
			return res.sendStatus(401);
		}
		const onward = http.request({ agent, host, port, method: 'POST', path: req.url, headers: req.headers }, (answer) => {
			res.writeHead(answer.statusCode, answer.headers);
			answer.pipe(res);
		});
		onward.on('error', () => res.sendStatus(502));
		onward.end(req.body);
	});
	const [address, onPort] = listen.split(':');
	app.listen(Number(onPort), address);
}
