package identity_test
import ("context";"testing";"time";"slices";"fmt";"gatehouse/internal/identity";"gatehouse/internal/platform/db";"gatehouse/internal/platform/db/dbtest")
func TestZZMillion(t *testing.T){
 d,err:=db.Open(context.Background(), db.Config{URL: dbtest.URL(t,"postgres")+"&statement_timeout=0", PoolSize: 8, CallTimeout: 5*time.Minute}); if err!=nil{t.Fatal(err)}
 defer d.Close()
 s:=mustService(t,d); ctx:=context.Background()
 ex:=func(q string){ t0:=time.Now(); must(t,d,func(tx *db.Tx) error {_,e:=tx.Exec(ctx,q); return e}); t.Log(q[:20], time.Since(t0))}
 ex(`SET statement_timeout=0`)
 ex(`DROP INDEX users_search_idx`)
 ex(`INSERT INTO users(id,email,canonical_email,username,canonical_username,password_hash,first_name,last_name,search_text,created_at,updated_at,last_login_at)
 SELECT gen_random_uuid(), e, e, u, u, '!', f, l, e||chr(10)||u||chr(10)||lower(f)||chr(10)||lower(l), now()-i*interval '1 second', now(), case when i%3=0 then now()-((i*7919::bigint)%1000003)*interval '1 second' end
 FROM (SELECT i, 'person'||i||'.'||substr(md5(i::text),1,6)||'@example.com' e, 'u'||substr(md5(i::text),7,8)||i u, (array['Ada','Grace','Linus','Margaret','Ken','Dennis'])[1+i%6] f, initcap(substr(md5((i%5000)::text),1,7)) l FROM generate_series(1,1000000) i) x`)
 ex(`CREATE INDEX users_search_idx ON users USING gin (search_text gin_trgm_ops) WITH (gin_pending_list_limit = 256)`)
 ex(`ANALYZE users                    `)
 for _,f:=range []string{"person77713.","%","3fa"} { _=f
  for _,set:=range []string{"on","off"} {
  must(t,d,func(tx *db.Tx) error { if _,e:=tx.Exec(ctx,"SET LOCAL enable_indexscan="+set); e!=nil {return e}
  l,e:=db.List(ctx,tx,func(r db.Scanner)(string,error){var x string; return x,r.Scan(&x)}, "EXPLAIN (ANALYZE,BUFFERS) SELECT id FROM users WHERE deleted_at IS NULL AND search_text LIKE '%"+f+"%' ORDER BY created_at DESC, id DESC LIMIT 51"); for _,x:=range l {t.Log(x)}; return e})
 }}
 type c struct{name string; q func(i int) identity.Query}
 var mid *identity.Cursor
 { p,_:=s.List(ctx, identity.Query{CreatedBefore: time.Now().Add(-990000*time.Second)}); u:=p.Users[0]; mid=&identity.Cursor{Time:u.CreatedAt, ID:u.ID} }
 for _,c:=range []c{
  {"first",func(int) identity.Query{return identity.Query{}}},
  {"deep",func(int) identity.Query{return identity.Query{After:mid}}},
  {"email",func(int) identity.Query{return identity.Query{Sort:"email"}}},
  {"login",func(int) identity.Query{return identity.Query{Sort:"-last_login_at"}}},
  {"rare",func(i int) identity.Query{return identity.Query{Search:fmt.Sprintf("person%d.",i*777+13)}}},
  {"prefix",func(i int) identity.Query{return identity.Query{Search:fmt.Sprintf("person%d",i+100)}}},
  {"hex3",func(i int) identity.Query{return identity.Query{Search:fmt.Sprintf("%03x",i*37%4096)}}},
  {"hex4",func(i int) identity.Query{return identity.Query{Search:fmt.Sprintf("%04x",i*3137%65536)}}},
  {"hex5",func(i int) identity.Query{return identity.Query{Search:fmt.Sprintf("%05x",i*31337%1048576)}}},
  {"hex4 email",func(i int) identity.Query{return identity.Query{Sort:"email",Search:fmt.Sprintf("%04x",i*3137%65536)}}},
  {"everybody",func(int) identity.Query{return identity.Query{Search:"example"}}},
  {"name",func(int) identity.Query{return identity.Query{Search:"margaret"}}},
  {"absent",func(int) identity.Query{return identity.Query{Search:"zzzqqq"}}},
  {"absent common trigrams",func(int) identity.Query{return identity.Query{Search:"person.example"}}},
  {"two",func(i int) identity.Query{return identity.Query{Search:fmt.Sprintf("%02x",i%256)}}},
 }{
  var ts []time.Duration; n:=0
  for i:=range 60 { t0:=time.Now(); p,err:=s.List(ctx,c.q(i)); if err!=nil{t.Log(c.name,err);break}; ts=append(ts,time.Since(t0)); n+=len(p.Users)}
  slices.Sort(ts)
  if len(ts)>0 {t.Logf("%-24s n=%d p50=%v p95=%v max=%v",c.name,n/len(ts),ts[len(ts)/2],ts[len(ts)*95/100],ts[len(ts)-1])}
 }
}
