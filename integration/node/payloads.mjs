// The payloads that the sender posts: named, each as Twenty would build it, or
// (raw) as text that JSON.parse and JSON.stringify do not give back alike.

const envelope = {
  targetUrl: 'https://app.example/hook',
  objectMetadata: { id: '4b4f6c3e-7d0e-4f6a-9d58-8d5b1a4b6f10', nameSingular: 'person' },
  workspaceId: '2f8a1c5e-1b7d-4f0e-8c1a-6b0f9d3e7a21',
  webhookId: '9c7b2d4a-3e5f-4a6b-8c9d-0e1f2a3b4c5d',
  eventDate: '2026-01-02T03:04:05.678Z',
};

const record = (eventName, content, more = {}) => ({ ...envelope, eventName, ...more, record: content });

const metadata = (eventName, event) => ({
  targetUrl: envelope.targetUrl,
  eventName,
  workspaceId: envelope.workspaceId,
  webhookId: envelope.webhookId,
  eventDate: envelope.eventDate,
  apiKeyId: 'd2a9f3c1-5b6e-4c7d-8e9f-0a1b2c3d4e5f',
  event,
});

export const payloads = {
  ascii: record('person.created', { name: { firstName: 'Ada', lastName: 'Lovelace' } }),
  unicode: record('person.created', { name: 'Zoë Ångström Šimić', city: '東京', greek: 'ΑΒΓ', rtl: 'שלום' }),
  'combining marks': record('person.updated', { composed: '\u00e9', decomposed: 'e\u0301' }, { updatedFields: ['name'] }),
  emoji: record('note.created', { title: '👩‍👩‍👧‍👦 🏳️‍🌈 🇳🇱', body: '🎉'.repeat(500) }),
  'lone surrogates': record('note.created', { high: '\ud83d', low: '\ude00', reversed: '\ude00\ud83d', amid: 'a\ud800b' }),
  'line separators': record('note.created', { body: 'a\u2028b\u2029c\u0085d\ufeffe' }),
  'control characters': record('note.created', { body: Array.from({ length: 32 }, (_, i) => String.fromCharCode(i)).join('') + '\u007f' }),
  'quotes and slashes': record('note.created', { body: '"\\/\b\f\n\r\t</script>' }),
  numbers: record('opportunity.updated', {
    large: 1e21, larger: 1.7976931348623157e308, small: 1e-7, smallest: 5e-324, negativeZero: -0,
    sum: 0.1 + 0.2, safe: Number.MAX_SAFE_INTEGER, unsafe: 2 ** 53 + 2, micros: 1234567890123456,
    notANumber: NaN, infinite: Infinity,
  }),
  // No key is named constructor, prototype or __proto__: axios leaves those out
  // of what it sends, so that the signature of whoever signs them does not fit.
  'keys in any order': record('company.created', { 10: 'ten', 9: 'nine', z: 1, a: 2, 1: 'one', '': 'empty', 'ключ': 3 }),
  'values of all kinds': record('task.updated', { none: null, yes: true, no: false, list: [[], {}, ''], undefinedIsDropped: undefined }),
  'an empty record': record('person.destroyed', {}),
  'no record': { ...envelope, eventName: 'person.deleted' },
  deleted: record('note.deleted', { id: '1', deletedAt: '2026-01-02T03:04:05.678Z' }),
  restored: record('opportunity.restored', { id: '1' }, { userId: 'u', workspaceMemberId: 'm', applicationId: 'a' }),
  'a custom object': record('rocketLaunch.created', { padNumber: 39, crew: ['a', 'b'] }),
  'metadata created': metadata('metadata.objectMetadata.created', { nameSingular: 'rocketLaunch', labelSingular: 'Rocket launch 🚀' }),
  'metadata updated': metadata('metadata.fieldMetadata.updated', { before: { label: 'a' }, after: { label: 'b' }, diff: {} }),
  'a record of 1 MB': record('note.updated', { body: 'x'.repeat(1_000_000) }),
  'a record of 1 MB of emoji': record('note.updated', { body: '😀'.repeat(250_000) }),
  'a record of many fields': record('person.updated', Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`field${i}`, i / 7]))),
};

export const rawBodies = {
  'a large integer': '{"eventName":"person.created","record":{"n":12345678901234567890123456789}}',
  'a trailing zero': '{"eventName":"person.created","record":{"n":1.0,"m":1.50,"e":1E+2,"z":-0}}',
  'needless escapes': '{"eventName":"person.created","record":{"a":"\\u0041\\/\\u00e9"}}',
  'the same key twice': '{"eventName":"person.created","record":{"a":1,"a":2}}',
  whitespace: '\n{ "eventName" : "person.created",\r\n\t"record" : { } }\n\n',
  'no JSON at all': 'event=person.created&record=1',
  empty: '',
  'a byte order mark': '\ufeff{"eventName":"person.created","record":{}}',
};
