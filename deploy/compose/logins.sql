-- Run once by the image of PostgreSQL, when it makes its files: the logins of the service and of the sealer with their
-- passwords. What they own and may do is settled by `registry db upgrade`.
\set app `printenv APP_SECRET`
\set sealer `printenv SEALER_SECRET`
CREATE ROLE registry_app LOGIN PASSWORD :'app';
CREATE ROLE audit_sealer LOGIN PASSWORD :'sealer';
