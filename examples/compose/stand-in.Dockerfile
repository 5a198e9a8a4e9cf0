FROM python:3.13-slim
RUN pip install --no-cache-dir "lambdasecrets[cli]"
WORKDIR /home
USER nobody
ENTRYPOINT ["lambdasecrets"]
HEALTHCHECK CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:2773/_lambdasecrets/health')"
