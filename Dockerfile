# One image per app: docker build --build-arg APP=relay -t millrace-relay .   (APP is relay, order or cli)
FROM node:24-slim AS build
WORKDIR /app
COPY . .
RUN npm ci && npm run build

FROM node:24-slim AS deps
ARG APP
WORKDIR /app
COPY --from=build /app/package.json /app/package-lock.json /app/.npmrc ./
COPY --from=build /app/libs ./libs
COPY --from=build /app/apps ./apps
RUN npm ci --omit=dev --workspace apps/$APP

FROM node:24-slim
ARG APP
ENV APP=$APP NODE_ENV=production
WORKDIR /app
COPY --from=deps /app ./
COPY --from=build /app/dist/apps/$APP ./dist/apps/$APP
USER node
CMD ["sh", "-c", "exec node --enable-source-maps dist/apps/$APP/main.js"]
