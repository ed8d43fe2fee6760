# One image per app: docker build --build-arg APP=order -t millrace-order .   (APP is relay, order, inventory or payment)
# Each has the command `millrace` as well, so that the image of a service can prepare its database.
FROM node:24.21.0-slim AS build
WORKDIR /app
COPY . .
RUN npm ci --no-audit --no-fund && npm run build

FROM node:24.21.0-slim AS production
ARG APP
WORKDIR /app
COPY --from=build /app/package.json /app/package-lock.json /app/.npmrc ./
COPY --from=build /app/libs ./libs
COPY --from=build /app/apps ./apps
RUN npm ci --omit=dev --no-audit --no-fund --workspace "apps/$APP" --workspace apps/cli && rm -rf libs/*/src apps/*/src

FROM node:24.21.0-slim
ARG APP
ENV APP=$APP NODE_ENV=production PORT=3000
WORKDIR /app
COPY --from=production /app ./
COPY --from=build /app/dist/apps/cli ./dist/apps/cli
COPY --from=build /app/dist/apps/$APP ./dist/apps/$APP
USER node
# Alive, not ready: whoever restarts what is unhealthy must not do so because a database is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/health/live').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["sh", "-c", "exec node --enable-source-maps dist/apps/$APP/main.js"]
