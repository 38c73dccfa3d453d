let x = ;
text(1)