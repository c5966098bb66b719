// Starts Swagger UI on the document of this server, and keeps the token of a login for the calls that follow.
'use strict';

(function () {
  const scheme = 'token';
  const here = document.currentScript.src;
  // Where the server is mounted.
  const root = new URL('..', here).pathname;
  const who = document.getElementById('who');

  function say(text, loggedIn) {
    who.textContent = text;
    who.classList.toggle('in', loggedIn);
  }

  function logIn(token) {
    ui.preauthorizeApiKey(scheme, token);
    say('Logged in', true);
  }

  function logOut() {
    ui.authActions.logout([scheme]);
    say('Not logged in', false);
  }

  function takeToken(response) {
    const path = new URL(response.url, here).pathname;
    if (!response.ok || !path.startsWith(root)) {
      return response;
    }
    switch (path.slice(root.length).replace(/\/$/, '')) {
      case 'api/login':
        logIn(JSON.parse(response.text).token);
        break;
      case 'v1/login':
      case 'v1/refresh':
        logIn(JSON.parse(response.text).access_token);
        break;
      case 'api/logout':
      case 'v1/logout':
      case 'v1/logout/all':
      case 'v1/me/password':
        logOut();
        break;
    }
    return response;
  }

  const ui = SwaggerUIBundle({
    url: new URL('../openapi.json', here).href,
    dom_id: '#swagger-ui',
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    responseInterceptor: takeToken,
    // Swagger's own service would be asked whether the document is valid.
    validatorUrl: null,
  });
})();
