lambdasecrets check src/ --aws --set STAGE=prod
lambdasecrets policy src/ --format cdk | diff cdk/policy.py -
lambdasecrets check --template template.yaml
