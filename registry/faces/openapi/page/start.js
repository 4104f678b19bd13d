// Shows the contract of this service. Nothing is loaded from elsewhere, and no credential outlives the page.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#contract",
  deepLinking: true,
  docExpansion: "list",
  persistAuthorization: false,
  validatorUrl: null,
});
