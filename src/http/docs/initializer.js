// Starts Swagger UI on the document of this server, and keeps the token of a login for the calls that follow.
'use strict';

(function () {
  const scheme = 'token';
  const here = document.currentScript.src;
  const who = document.getElementById('who');

  function say(text, loggedIn) {
    who.textContent = text;
    who.classList.toggle('in', loggedIn);
  }

  function takeToken(response) {
    const path = new URL(response.url, here).pathname;
    if (path.endsWith('/api/login/') && response.status === 201) {
      ui.preauthorizeApiKey(scheme, JSON.parse(response.text).token);
      say('Logged in', true);
    }
    if (path.endsWith('/api/logout/') && response.status === 200) {
      ui.authActions.logout([scheme]);
      say('Not logged in', false);
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
