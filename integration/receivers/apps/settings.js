module.exports = {
  uiHost: '127.0.0.1',
  uiPort: 3000,
  httpAdminRoot: false,
  apiMaxLength: '10mb',
};
