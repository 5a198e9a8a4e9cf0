FROM node:22-slim
COPY app.mjs /home/
USER node
CMD ["node", "/home/app.mjs"]
