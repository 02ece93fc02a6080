#!/usr/bin/env python3
"""Reads schema.json off a running API server: schema.py https://127.0.0.1:PORT TOKEN

Which kinds are taken stands in `groups` and `skip`. The types come from OpenAPI v2, their defaults from v3.
"""
import json,os,subprocess,sys
def get(p): return json.loads(subprocess.check_output(['curl','-sk','-H','Authorization: Bearer '+sys.argv[2],sys.argv[1]+p]))
api=get('/openapi/v2')['definitions']
groups=[('','v1',None),('apps','v1',None),('batch','v1',None),('networking.k8s.io','v1',['ingresses','networkpolicies','ingressclasses']),('policy','v1',None),('autoscaling','v2',None),('rbac.authorization.k8s.io','v1',None),('apiextensions.k8s.io','v1',None),('apiregistration.k8s.io','v1',None),('authorization.k8s.io','v1',['selfsubjectaccessreviews']),('events.k8s.io','v1',None),('coordination.k8s.io','v1',None),('discovery.k8s.io','v1',None),('scheduling.k8s.io','v1',None),('storage.k8s.io','v1',['storageclasses']),('admissionregistration.k8s.io','v1',['mutatingwebhookconfigurations','validatingwebhookconfigurations'])]
skip={'bindings','componentstatuses','podtemplates','replicationcontrollers','controllerrevisions'}
defs_by_gvk={}
for n,d in api.items():
    for g in d.get('x-kubernetes-group-version-kind',[]): defs_by_gvk[(g['group'],g['version'],g['kind'])]=n
def short(n):
    n=n.replace('io.k8s.api.','').replace('io.k8s.apimachinery.pkg.apis.','').replace('io.k8s.apiextensions-apiserver.pkg.apis.','').replace('io.k8s.kube-aggregator.pkg.apis.','').replace('io.k8s.apimachinery.pkg.','')
    return n
kinds=[];need=[]
for g,v,only in groups:
    base='/api/v1' if not g else f'/apis/{g}/{v}'
    res=get(base)['resources']; tops={}
    for r in res:
        if '/' not in r['name']:
            if r['name'] in skip or (only and r['name'] not in only): continue
            tops[r['name']]=dict(group=g,version=v,plural=r['name'],singular=r['singularName'],kind=r['kind'],namespaced=r['namespaced'],verbs=r['verbs'],short=r.get('shortNames',[]),categories=r.get('categories',[]),subs=[])
    for r in res:
        if '/' in r['name']:
            a,b=r['name'].split('/',1)
            if a in tops and b in ('status','scale','log','finalize','eviction'):
                s=dict(name=b,kind=r['kind'],verbs=r['verbs'])
                if r.get('group') is not None: s['group']=r['group'];s['version']=r['version']
                tops[a]['subs'].append(s)
    for k in tops.values():
        n=defs_by_gvk[(g,v,k['kind'])]; k['type']=short(n); need.append(n); kinds.append(k)
types={}
LEAF={'io.k8s.apimachinery.pkg.api.resource.Quantity':'q','io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime':'t','io.k8s.apimachinery.pkg.apis.meta.v1.Time':'t','io.k8s.apimachinery.pkg.util.intstr.IntOrString':'x'}
def conv(p):
    r=p.get('$ref')
    if r is None and 'allOf' in p: r=p['allOf'][0]['$ref']
    if r:
        n=r.split('/')[-1]
        if n in LEAF: return LEAF[n]
        d=api[n]
        if d.get('type') is None or ('properties' not in d and 'additionalProperties' not in d): return '*'
        need.append(n); 
        if p.get('x-kubernetes-map-type')=='atomic': return {'a':1,'i':'@'+short(n)}
        return '@'+short(n)
    t=p.get('type')
    if t=='string': return 's'
    if t=='integer': return 'i'
    if t=='number': return 'n'
    if t=='boolean': return 'b'
    if t=='array':
        o={'i':conv(p['items'])}
        lt=p.get('x-kubernetes-list-type')
        if lt=='map': o['k']=p['x-kubernetes-list-map-keys']
        elif lt=='set': o['set']=1
        if p.get('x-kubernetes-patch-merge-key') and 'merge' in p.get('x-kubernetes-patch-strategy',''): o['m']=p['x-kubernetes-patch-merge-key']
        elif 'merge' in p.get('x-kubernetes-patch-strategy',''): o['m']=''
        o['list']=1
        return o
    if t=='object':
        if 'additionalProperties' in p:
            o={'map':1,'i':conv(p['additionalProperties'])}
            if p.get('x-kubernetes-map-type')=='atomic': o['a']=1
            return o
        return '*'
    return '*'
done=set()
while need:
    n=need.pop()
    if n in done: continue
    done.add(n); d=api[n]
    t={'p':{k:conv(v) for k,v in sorted(d.get('properties',{}).items())}}
    if d.get('required'): t['r']=d['required']
    if d.get('x-kubernetes-map-type')=='atomic': t['a']=1
    types[short(n)]=t
j=lambda o: json.dumps(o,separators=(',',':'))
# second pass: zero structs and scalar defaults, which only OpenAPI v3 tells
v3={}
for p in ['api/v1']+[f'apis/{g}/{v}' for g,v,_ in groups if g]:
    v3.update(get('/openapi/v3/'+p)['components']['schemas'])
rev={short(n):n for n in api}
for n,t in types.items():
    d=v3.get(rev[n])
    if not d: print('no v3',n); continue
    z=[];dd={}
    for k,p in d.get('properties',{}).items():
        if 'default' in p:
            ref=p.get('$ref') or (p.get('allOf') or [{}])[0].get('$ref','')
            if p['default']=={} : z.append(k)
            elif p['default'] not in ('',0,False,None): dd[k]=p['default']
    if z: t['z']=z
    if dd: t['d']=dd
out='{"kinds":[\n'+',\n'.join(j(k) for k in kinds)+'\n],"types":{\n'+',\n'.join(j(n)+':'+j(t) for n,t in sorted(types.items()))+'\n}}\n'
open(os.path.join(os.path.dirname(os.path.abspath(__file__)),'schema.json'),'w').write(out)
print(len(out))
