from mmrot.cli import main

main()
