import crypto from 'crypto';

const window = 5 * 60 * 1000;

function check(r) {
	const timestamp = r.headersIn['X-Twenty-Webhook-Timestamp'];
	const signature = r.headersIn['X-Twenty-Webhook-Signature'];
	if (r.method !== 'POST' || !timestamp || !signature || !/^[1-9][0-9]{0,15}$/.test(timestamp) ||
		Math.abs(Date.now() - Number(timestamp)) > window) {
		r.return(401);
		return;
	}
	const expected = crypto.createHmac('sha256', process.env.TWENTY_WEBHOOK_SECRET)
		.update(timestamp).update(':').update(r.requestBuffer || '').digest('hex');
	if (expected !== signature) {
		r.return(401);
		return;
	}
	r.internalRedirect('@app');
}

export default { check };
