"""Secrets of command lines and notes: everyday forms that are masked, and innocent ones."""

from __future__ import annotations

import base64
import shlex
import time
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from footprint.tracker import mask, secret_names
from footprint.tracker.mask import mask_secrets, mask_text

ROOT = Path(__file__).parents[2]
LEAST_MASKED = 95
NOT_MASKED: list[str] = []
"""Forms of the table that are known not to be masked."""
PASSWORD = "Tr0ub4dor&3"
PLAIN = "correcthorse"
HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
BASE64 = base64.b64encode(b"anne:Tr0ub4dor").decode()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r"
AWS_SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12"
HF = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz12345678"
UUID_KEY = "279a2e9d-83b3-c416-7e2d-f721593e42a0:fx"
HOOK = "xr3j5x3p4pfk7kk6ck7b4e6ghh"
GITHUB = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq8Hs\n-----END RSA PRIVATE KEY-----"

FORMS: list[tuple[str, str]] = [
    # options with a name
    (f"train.py --token {PLAIN}", PLAIN),
    (f"train.py --token={PLAIN}", PLAIN),
    (f"train.py --password {PLAIN}", PLAIN),
    (f"train.py --password={PLAIN}", PLAIN),
    (f"train.py --password '{PASSWORD} x'", PASSWORD),
    (f"train.py --passwd {PLAIN}", PLAIN),
    (f"train.py --pass {PLAIN}", PLAIN),
    (f"train.py -password {PLAIN}", PLAIN),
    (f"train.py --api-key {HEX}", HEX),
    (f"train.py --api_key={HEX}", HEX),
    (f"train.py --apikey {HEX}", HEX),
    (f"train.py --apiKey {HEX}", HEX),
    (f"train.py --wandb-api-key {HEX}", HEX),
    (f"train.py --wandb_key {HEX}", HEX),
    (f"train.py --openai-key {HEX}", HEX),
    (f"train.py --access-token {PLAIN}", PLAIN),
    (f"train.py --auth-token={PLAIN}", PLAIN),
    (f"train.py --hf_token {PLAIN}", PLAIN),
    (f"train.py --client-secret {PLAIN}", PLAIN),
    (f"train.py --secret-key {PLAIN}", PLAIN),
    (f"train.py --aws-secret-access-key {AWS_SECRET}", AWS_SECRET),
    (f"train.py --passphrase '{PLAIN} battery staple'", "staple"),
    (f"train.py --db-password {PLAIN}", PLAIN),
    (f"train.py --smtp-pass={PLAIN}", PLAIN),
    (f"train.py --bearer {PLAIN}", PLAIN),
    (f"train.py --credentials anne:{PLAIN}", PLAIN),
    (f"train.py --encryption-key {HEX}", HEX),
    (f"gpg --batch --passphrase {PLAIN} -d data.gpg", PLAIN),
    (f"svn co --username anne --password {PLAIN} svn://host/x", PLAIN),
    (f"wget --http-user=anne --http-password={PLAIN} https://host/x", PLAIN),
    # variables
    (f"env PGPASSWORD={PLAIN} psql -h db", PLAIN),
    (f"env MYSQL_PWD={PLAIN} mysql", PLAIN),
    (f"env WANDB_API_KEY={HEX} python train.py", HEX),
    (f"env HF_TOKEN={PLAIN} python train.py", PLAIN),
    (f"env HUGGING_FACE_HUB_TOKEN={PLAIN} python train.py", PLAIN),
    (f"env OPENAI_API_KEY={HEX} python train.py", HEX),
    (f"env AWS_SECRET_ACCESS_KEY={AWS_SECRET} aws s3 ls", AWS_SECRET),
    (f"env AWS_SESSION_TOKEN={PLAIN} aws s3 ls", PLAIN),
    (f"env GITHUB_TOKEN={PLAIN} gh pr list", PLAIN),
    (f"env SSHPASS={PLAIN} sshpass -e ssh host", PLAIN),
    (f"env RESTIC_PASSWORD={PLAIN} restic backup .", PLAIN),
    (f"env BORG_PASSPHRASE='{PLAIN} two' borg create x", "two"),
    (f"env COMET_API_KEY={PLAIN} python x.py", PLAIN),
    (f"env NEPTUNE_API_TOKEN={PLAIN} python x.py", PLAIN),
    (f"env REDISCLI_AUTH={PLAIN} redis-cli", PLAIN),
    (f"env DB_PASS={PLAIN} python x.py", PLAIN),
    (f"env TOKEN={PLAIN} python x.py", PLAIN),
    (f"docker run -e POSTGRES_PASSWORD={PLAIN} postgres", PLAIN),
    (f"docker run --env=MYSQL_ROOT_PASSWORD={PLAIN} mysql", PLAIN),
    # options of known tools
    (f"mysql -u root -p{PLAIN} db", PLAIN),
    (f"mysql -u root -p {PLAIN}", PLAIN),
    (f"mysqldump -uroot -p'{PASSWORD}' db", PASSWORD),
    (f"mysql --user=root --password={PLAIN} db", PLAIN),
    (f"sshpass -p {PLAIN} ssh host", PLAIN),
    (f"sshpass -p{PLAIN} rsync -a . host:", PLAIN),
    (f"curl -u anne:{PLAIN} https://host", PLAIN),
    (f"curl -uanne:{PLAIN} https://host", PLAIN),
    (f"curl -fsSLu anne:{PLAIN} https://host", PLAIN),
    (f"curl --user anne:{PLAIN} https://host", PLAIN),
    (f"curl --proxy-user anne:{PLAIN} https://host", PLAIN),
    (f"docker login -u anne -p {PLAIN} registry", PLAIN),
    (f"docker login --username anne --password {PLAIN}", PLAIN),
    (f"podman login -p {PLAIN} quay.io", PLAIN),
    (f"redis-cli -h db -a {PLAIN} ping", PLAIN),
    (f"http -a anne:{PLAIN} GET host/x", PLAIN),
    (f"mongosh -u anne -p {PLAIN} db", PLAIN),
    (f"ldapsearch -D cn=anne -w {PLAIN} -b dc=x", PLAIN),
    (f"ipmitool -H bmc -U admin -P {PLAIN} power status", PLAIN),
    (f"smbclient //host/x -U anne%{PLAIN}", PLAIN),
    (f"7z x -p{PLAIN} data.7z", PLAIN),
    (f"unzip -P {PLAIN} data.zip", PLAIN),
    (f"openssl enc -aes-256-cbc -pass pass:{PLAIN} -in x", PLAIN),
    (f"wandb login {HEX}", HEX),
    (f"wandb login --relogin {HEX}", HEX),
    (f"aws configure set aws_secret_access_key {AWS_SECRET}", AWS_SECRET),
    (f"huggingface-cli login --token {PLAIN}", PLAIN),
    (f"kubectl create secret generic x --from-literal=password={PLAIN}", PLAIN),
    # headers
    (f"curl --header 'Authorization: Bearer {PLAIN}' https://host", PLAIN),
    (f"curl -H 'Authorization: token {PLAIN}' https://host", PLAIN),
    (f"curl -H 'Authorization: Basic {BASE64}' https://host", BASE64),
    (f"curl '-HAuthorization: Bearer {PLAIN}' https://host", PLAIN),
    (f"curl -H 'PRIVATE-TOKEN: {PLAIN}' https://gitlab", PLAIN),
    (f"curl -H 'X-Api-Key: {HEX}' https://host", HEX),
    (f"curl -H 'Cookie: session={PLAIN}' https://host", PLAIN),
    (f"wget --header='X-Auth-Token: {PLAIN}' https://host", PLAIN),
    # addresses
    (f"git clone https://anne:{PLAIN}@host/x.git", PLAIN),
    (f"git clone https://{PLAIN}@github.com/a/x.git", PLAIN),
    (f"python x.py --db postgresql://anne:{PLAIN}@host:5432/db", PLAIN),
    (f"python x.py mongodb+srv://anne:{PLAIN}@host/db", PLAIN),
    (f"python x.py redis://:{PLAIN}@host:6379/0", PLAIN),
    (f"env https_proxy=http://anne:{PLAIN}@proxy:3128 pip install x", PLAIN),
    (f"pip install -i https://anne:{PLAIN}@pypi.host/simple x", PLAIN),
    (f"curl 'https://host/x?token={PLAIN}&n=1'", PLAIN),
    (f"curl 'https://host/x?n=1&access_token={PLAIN}'", PLAIN),
    (f"curl 'https://host/x?api_key={HEX}'", HEX),
    (f"curl 'https://maps.host/x?key={HEX}'", HEX),
    (f"wget 'https://b.s3.aws/x?X-Amz-Signature={HEX}&X-Amz-Expires=9'", HEX),
    (f"wget 'https://x.blob.core.windows.net/c?sv=1&sig={BASE64}'", BASE64),
    # by their form
    (f"train.py --hub {HF}", HF),
    (f"train.py --gh {GITHUB}", GITHUB),
    (f"x github_pat_11ABCDEFG0{HEX}", HEX),
    (f"x glpat-{HEX[:20]}", HEX[:20]),
    (f"x sk-proj-{HEX}", HEX),
    (f"x sk-ant-api03-{HEX}", HEX),
    (f"x sk-{HEX}", HEX),
    (f"x xoxb-2345678901-{HEX}", HEX),
    ("aws --id AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    (f"x {JWT}", JWT),
    (f"x AIza{HEX[:35]}", HEX[:35]),
    (f"x npm_{HEX[:36]}", HEX[:36]),
    (f"x '{PEM}'", "MIIEpAIBAAKCAQEA7"),
    (f"x https://hooks.slack.com/services/T0/B0/{PLAIN}", PLAIN),
    # texts inside an argument
    (f"""bash -c "export HF_TOKEN={PLAIN}; python x.py" """, PLAIN),
    (f"""bash -c "PGPASSWORD={PLAIN} psql -h db" """, PLAIN),
    (f"""sh -c 'login --password "{PLAIN} two" --user me' """, "two"),
    (f"""sh -c 'cd /x && mysql -uroot -p{PLAIN} db < dump' """, PLAIN),
    (f"""sh -c 'curl -s -u anne:{PLAIN} https://host | tar x' """, PLAIN),
    (f"""sh -c 'echo {PLAIN} | sudo -S reboot' """, PLAIN),
    (f"""sh -c 'echo {PLAIN} | docker login -u a --password-stdin' """, PLAIN),
    (f"""train.py '{{"api_key": "{PLAIN}", "n": 1}}' """, PLAIN),
    (f"""train.py '{{"db": {{"password":"{PLAIN} two"}}}}' """, "two"),
    (f"""train.py "{{'token': '{PLAIN}'}}" """, PLAIN),
    (f"train.py logger.api_key={HEX} model=big", HEX),
    (f"train.py +hub.token={PLAIN} ++lr=1e-3", PLAIN),
    (f"""python -c 'import wandb; wandb.login(key="{HEX}")' """, HEX),
    (f"""python -c 'login("{PLAIN}")' """, PLAIN),
    (f"""python -c 'os.environ["HF_TOKEN"] = "{PLAIN}"' """, PLAIN),
    (f"train.py 'auth: {{password: {PLAIN}}}'", PLAIN),
    (f"snakemake --config token={PLAIN} n=3", PLAIN),
    (f"train.py --key {PLAIN}", PLAIN),
    # services without the word key
    (f"python train.py --wandb {HEX}", HEX),
    (f"python train.py --wandb={HEX}", HEX),
    (f"docker run -e WANDB={HEX} image", HEX),
    (f"env DEEPL_KEY={UUID_KEY} python x.py", UUID_KEY),
    (f"python train.py --deepl {UUID_KEY}", UUID_KEY),
    # files that tools read secrets from
    (f"""sh -c 'echo {HEX} > ~/.wandb_key' """, HEX),
    (f"""sh -c 'echo {PLAIN}>~/.wandb_key' """, PLAIN),
    (f"""sh -c 'printf "%s" "{PLAIN}" > token.txt' """, PLAIN),
    (f"""sh -c 'echo {PLAIN} | tee ~/.vault-token' """, PLAIN),
    (f"""sh -c 'echo machine api.wandb.ai login user password {PLAIN} >> ~/.netrc' """, PLAIN),
    (f"""sh -c 'echo "machine host login user password {PLAIN}" >> x' """, PLAIN),
    # calls
    (f"""python -c 'os.environ.setdefault("WANDB_API_KEY","{PLAIN}")' """, PLAIN),
    (f"""python -c 'os.putenv("HF_TOKEN", "{PLAIN}")' """, PLAIN),
    (f"""python -c 'requests.get(u, auth=("anne","{PLAIN}"))' """, PLAIN),
    (f"""python -c 'requests.get(u, auth=("{PLAIN}", "x"))' """, PLAIN),
    (f"""python -c 'requests.get(u, auth=HTTPBasicAuth("anne", "{PLAIN}"))' """, PLAIN),
    (f"""python -c 'requests.get(u, auth=["anne","{PLAIN}"])' """, PLAIN),
    # more tools
    (f"curl -x anne:{PLAIN}@proxy:3128 https://host", PLAIN),
    (f"curl -x anne:{PLAIN}@proxy https://host", PLAIN),
    (f"curl --proxy anne:{PLAIN}@proxy:3128 https://host", PLAIN),
    (f"curl --proxy=anne:{PLAIN}@proxy:3128 https://host", PLAIN),
    (f"curl -xanne:{PLAIN}@proxy https://host", PLAIN),
    (f"curl --proxy=anne:{PLAIN}@proxy https://host", PLAIN),
    (f"openssl enc -aes-256-cbc -k {PLAIN} -in x", PLAIN),
    (f"unzip -oP {PLAIN} data.zip", PLAIN),
    (f"unzip -qP {PLAIN} data.zip", PLAIN),
    (f"""sh -c 'echo {PLAIN} | kinit anne' """, PLAIN),
    (f"""sh -c 'kinit <<< {PLAIN}' """, PLAIN),
    (f"""sh -c 'kinit anne <<<"{PLAIN}"' """, PLAIN),
    (f"""sh -c 'echo {PLAIN} | wandb login' """, PLAIN),
    (f"synapse login -u anne -p {PLAIN}", PLAIN),
    (f"python dl.py -u anne -p {PLAIN}", PLAIN),
    (f"python dl.py --username anne -h host -p {PLAIN} out", PLAIN),
    ("python dl.py -u anne -p hunter12", "hunter12"),
    ("python dl.py -u anne -p 19870412", "19870412"),
    (f"python dl.py --user=anne -p {PLAIN}", PLAIN),
    (f"ngrok config add-authtoken {PLAIN}", PLAIN),
    (f"ngrok config add-authtoken {PLAIN} --config x.yml", PLAIN),
    (f"python x.py https://mattermost.lab.fr/hooks/{PLAIN}", PLAIN),
    (f"curl https://mattermost.lab.fr/hooks/{HOOK}", HOOK),
    (f"curl https://chat.lab.fr/hooks/{HOOK}", HOOK),
    # in French
    (f"python dl.py --mdp {PLAIN}", PLAIN),
    (f"python dl.py --mot-de-passe {PLAIN}", PLAIN),
    (f"python dl.py --mot_de_passe={PLAIN}", PLAIN),
    (f"env MDP={PLAIN} python dl.py", PLAIN),
    ("env MDP=83412 python dl.py", "83412"),
    # by their real length and alphabet
    (f"x gsk_{HEX}{HEX[:12]}", HEX),
    (f"x sk-or-v1-{HEX}", HEX),
    (f"x pplx-{HEX}", HEX),
    (f"x r8_{HEX[:37]}", HEX[:37]),
]
"""Command lines, and the part of each that must not be recorded."""

NOTES = [
    (f"with password {PLAIN}?", None),  # prose without a sign: not recognised, and not counted
    (f"password: {PLAIN}", PLAIN),
    (f"the password is {PLAIN}", PLAIN),
    (f"token={PLAIN}, seed 3", PLAIN),
    (f"uses {HF} of anne", HF),
    (f"data from https://anne:{PLAIN}@host/x", PLAIN),
    (f"ran mysql -p{PLAIN} before", PLAIN),
    (f"WANDB_API_KEY={HEX}", HEX),
    (f"the wandb key is {PLAIN}", PLAIN),
    (f"the wandb key is {HEX}.", HEX),
    (f"API key {HEX}", HEX),
    (f"API key: {PLAIN}", PLAIN),
    (f"my API key {PLAIN}, seed 3", PLAIN),
    (f"clé API : {PLAIN}", PLAIN),
    (f"the key is {HEX}", HEX),
    (f"mdp={PLAIN}", PLAIN),
    (f"mot de passe : {PLAIN}", PLAIN),
    (f"le mot de passe est {PLAIN}", PLAIN),
    (f"token: {PLAIN} for the run", PLAIN),
]

INNOCENT = [
    "python train.py --tokenizer bert",
    "python train.py --tokenizer-path /data/tokenizer.json",
    "python train.py --max-tokens 512",
    "python train.py --max_new_tokens=512",
    "python train.py --num-tokens 4096",
    "python train.py --tokens-per-batch 4096",
    "python train.py --pad-token-id 0",
    "python train.py --pad_token_id=0 --eos_token_id=2",
    "python train.py --pad-token '<pad>' --eos-token '</s>'",
    "python train.py --mask-token '[MASK]' --mask-token-prob 0.15",
    "python train.py --placeholder_token '<cat>' --initializer_token toy",
    "python train.py --token-dropout 0.1 --token-level word",
    "python train.py --token-classification ner",
    "python train.py --special-token sep",
    "python train.py --key-dim 64 --value-dim 64",
    "python train.py --num-key-value-heads 8",
    "python train.py --key-frames 3 --sort-key name --primary-key id",
    "python train.py --group-key speaker --cache-key v2 --public-key abc",
    "python train.py --learning-rate 1e-4 --lr 3e-4",
    "python train.py --weight-decay 0.01 --n-pass 3 --passes 2",
    "ffmpeg -i x.mp4 -pass 1 out.mp4",
    "python train.py --password-file /run/pw --token-file ~/.token",
    "python train.py --api-key-env WANDB_KEY_NAME --api-key-file key.txt",
    "python train.py --secret-name my-secret --secrets-dir /run/secrets",
    "python train.py --auth basic --auth-type oauth --no-auth",
    "python train.py --use-auth-token --lr 1",
    "python train.py --use_auth_token True",
    "python train.py --author anne --authors 'anne and bob'",
    "python train.py --ssh-key ~/.ssh/id_ed25519 --private-key /etc/x/key.pem",
    "python train.py --credentials /home/anne/gcp.json",
    "env GOOGLE_APPLICATION_CREDENTIALS=/home/anne/gcp.json python x.py",
    "env SSH_AUTH_SOCK=/tmp/agent.1 PWD=/home/anne OLDPWD=/ python x.py",
    "env TOKENIZERS_PARALLELISM=false python x.py",
    "env AUTHOR=anne KEYBOARD=fr python x.py",
    "python serve.py -p 8080",
    "ssh -p 2222 host hostname",
    "docker run -p 8080:80 -u 1000:1000 nginx",
    "docker run -v /data:/data:ro --name x image:tag",
    "mkdir -p /scratch/anne/out",
    "cp -p a b",
    "psql -h db -p 5432 -U anne",
    "redis-cli -h db -p 6379 -n 0",
    "mysql -u root -P 3306 -h db",
    "curl -u anne https://host",
    "curl -sSL -o out https://host/v1/x?page=2&per_page=100",
    "rsync -a -P src/ host:dst/",
    "sort -u -k 2 x.txt",
    "git checkout 3f786850e387550fdab836ed7e6dc881de23001b",
    "git clone git@github.com:a/x.git",
    "git clone ssh://git@github.com/a/x.git",
    "git clone https://github.com/a/x.git",
    "python x.py s3://bucket/path/x.tar hdfs://host:8020/x",
    "python x.py postgresql://host:5432/db",
    "python x.py mail@host.fr",
    "python x.py /scratch/data/LibriSpeech/train-clean-100/103/1240/103-1240-0000.flac",
    "python x.py --run-id 3f2a9c1e --wandb-project speech --wandb-entity team",
    "python x.py --checkpoint epoch=12-step=34000.ckpt",
    "python x.py model.tokenizer=bert data.max_tokens=512 trainer.key=loss",
    'python x.py \'{"max_tokens": 512, "pad_token": "<pad>", "key": "loss"}\'',
    "python x.py --prompt 'Translate: Guten Tag' --stop-token END",
    "python x.py --task-name sk-learn-regression-baseline --mode hf_style",
    "python x.py --model facebook/wav2vec2-large-960h-lv60-self",
    "python x.py --model hf_transformers_model --ckpt sha256:ab12",
    "python x.py --session 3 --session-name night --pin-memory",
    "python x.py --seed 1234 --gpus 0,1,2,3 --compass north --bypass-cache",
    "python -c 'print(1); import torch; torch.save(x, \"out.pt\")'",
    "python -c 'tokens = tokenizer(text); key = sorted(tokens)'",
    "bash -c 'for i in 1 2 3; do python x.py --seed $i; done'",
    "bash -c 'mysql -p$DB_PASS db; curl -H \"Authorization: Bearer $TOKEN\" host'",
    "sh -c 'cat /etc/passwd | wc -l'",
    "torchrun --nproc-per-node 4 --rdzv-endpoint host:29500 train.py",
    "apptainer exec --nv image.sif python train.py",
    "snakemake --cores 8 --config n=3 --rerun-triggers mtime",
    "python train.py --key loss",
    "python train.py --key=input_values",
    "python train.py token=bpe model.token=char --token word",
    "python train.py --mem-token 16",
    "python train.py --model-key facebook/wav2vec2-base",
    "python train.py --dataset-key librispeech-train-clean-100",
    "python train.py --forward-pass bf16 --high-pass 80Hz",
    "python train.py --pat '*.wav'",
    "vllm serve x --api-key EMPTY",
    "python train.py --model sk-resnet50-imagenet-pretrained",
    "python train.py --model hf_Qwen25Instruct7BChat",
    "python train.py --data gsk_dataset_2024_train_split --method xai-grad-cam-resnet50-v2",
    "curl 'https://host/x?code=en&n=1'",
    "python x.py --prompt 'token: the smallest unit'",
    "python x.py --prompt 'Define it. Token: a unit of text'",
    "python x.py --wandb online --wandb-id 3f2a9c1e --comet true",
    "sh -c 'echo loss > best_key.csv; echo done > log.txt'",
    "sh -c 'echo done | tee log.txt'",
    "python -u train.py -p cfg",
    "sudo -u anne mkdir -p out",
    "squeue -u anne -p gpu",
    "docker run -u anne -p 8080:80 nginx",
    "docker run image:1.2@sha256:3f786850e387550fdab836ed7e6dc881de23001b",
    'python -c \'x = d.get("key", "loss"); f(x)\'',
    "tar -xf a.tar -C out",
    "openssl req -key key.pem -in x",
    "unzip -o data.zip -d out",
    "curl https://github.com/a/x/blob/main/hooks/pre-commit",
]
INNOCENT_NOTES = [
    "second seed, with the new tokenizer",
    "keys and values share heads; 512 tokens a batch",
    "epoch 12: loss 0.3",
    "authors' recipe, password-free access to the data",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "token: the smallest unit of a text",
    "the key is sorted, the token is a word",
    "mot de passe oublié, API key of the lab",
]


def leaks(form: str, secret: str) -> bool:
    return secret in " ".join(mask_secrets(shlex.split(form)))


def test_mask_secrets_everyday_forms_masks_95_of_100() -> None:
    assert len(FORMS) >= 100
    leaked = [form for form, secret in FORMS if leaks(form, secret)]
    masked = len(FORMS) - len(leaked)
    print(f"{masked} of {len(FORMS)} forms of secrets are masked; not masked: {leaked}")
    assert masked / len(FORMS) * 100 >= LEAST_MASKED
    assert leaked == NOT_MASKED


@pytest.mark.parametrize("form", [form for form, _ in FORMS])
def test_mask_secrets_form_keeps_other_words(form: str) -> None:
    words = shlex.split(form)
    masked = mask_secrets(words)
    assert len(masked) == len(words)
    assert masked[0] == words[0]
    assert sum(new != old for new, old in zip(masked, words, strict=True)) <= 1


@pytest.mark.parametrize("form", INNOCENT)
def test_mask_secrets_innocent_form_is_unchanged(form: str) -> None:
    words = shlex.split(form)
    assert mask_secrets(words) == words


def test_mask_secrets_login_pair_keeps_brackets() -> None:
    masked = mask_secrets(["python", "-c", 'get(u, auth=("anne","X"), timeout=3)'])
    assert masked[-1] == "get(u, auth=(***, ***), timeout=3)"


def test_mask_tables_hold_enough_forms() -> None:
    assert len(INNOCENT) >= 60
    assert len({form for form, _ in FORMS}) == len(FORMS)
    page = " ".join((ROOT / "docs/tracker.md").read_text(encoding="utf-8").split())
    assert f"All {len(FORMS)} forms of the table" in page
    assert f"all of its {len(INNOCENT)} innocent forms" in page


@pytest.mark.parametrize(("note", "secret"), NOTES)
def test_mask_text_note_with_secret_is_masked(note: str, secret: str | None) -> None:
    assert secret is None or secret not in mask_text(note)


@pytest.mark.parametrize("note", INNOCENT_NOTES)
def test_mask_text_innocent_note_is_unchanged(note: str) -> None:
    assert mask_text(note) == note


@hypothesis.given(st.lists(st.text(max_size=60), max_size=8))
def test_mask_secrets_any_words_returns_as_many_and_masks_once(words: list[str]) -> None:
    masked = mask_secrets(words)
    assert len(masked) == len(words)
    assert mask_text(" ".join(words)) is not None
    for word, new in zip(words, masked, strict=True):
        assert new == word or mask.MASK in new


LONG_PARTS = ["a='", "-p ", "token", '"\\', "://a", "mysql -p ", "a=b ", "password is ", "login("]
LONG_PARTS += ["-u a -p ", "login x password ", "https://mattermost", "a:b@", "echo a > ", "auth=("]


@pytest.mark.parametrize("part", LONG_PARTS)
def test_mask_secrets_long_command_takes_little_time(part: str) -> None:
    before_s = time.process_time()
    mask_secrets(["sh", "-c", part * 30_000])
    mask_secrets([part.strip()] * 30_000)
    assert time.process_time() - before_s < 10.0


def test_mask_secrets_long_word_is_shortened_between_words() -> None:
    text = "echo " * 799 + f"abc {HF}"
    assert mask_secrets([text]) == ["echo " * 799 + "abc " + mask.MASK]
    assert mask_secrets(["x" * 5000]) == [mask.MASK]


def test_holds_secret_password_of_digits_is_one() -> None:
    assert secret_names.holds_secret("--password", "12345")
    assert not secret_names.holds_secret("--pass", "2")
