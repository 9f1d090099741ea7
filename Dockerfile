# The image has Node 24 itself, so the one npm pins for other hosts is left out again.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --include=dev --include=optional --no-audit --no-fund --loglevel=error
COPY . .
RUN node node_modules/@nestjs/cli/bin/nest.js build \
 && npm prune --omit=dev --include=optional --no-audit --no-fund --loglevel=error \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PLUMBLINE_DATA_DIR=/var/lib/plumbline
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/scripts ./scripts
COPY --from=build /app/docs ./docs
COPY --from=build /app/runbooks ./runbooks
RUN ln -s /app/scripts/plumbline.mjs /usr/local/bin/plumbline \
 && install -d -o node -g node -m 0755 /var/lib/plumbline
# An ordinary user with a name: PostgreSQL refuses root, and initdb refuses a bare number.
USER node
# Holds the embedded PostgreSQL (unless DATABASE_URL is set), the spill journal and the generated admin token.
VOLUME /var/lib/plumbline
EXPOSE 8080 9464
# The service is process 1 and handles SIGTERM itself; the time to stop in is docker's (--stop-timeout 30).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Its flags are those of scripts/node-flags.json.
CMD ["node", "--initial-old-space-size=256", "--min-semi-space-size=16", "--max-semi-space-size=16", "--external-memory-accounted-in-global-limit", "--no-allocation-site-pretenuring", "dist/src/main.js"]
